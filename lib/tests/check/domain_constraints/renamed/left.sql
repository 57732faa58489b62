alter domain d rename constraint c to k;
