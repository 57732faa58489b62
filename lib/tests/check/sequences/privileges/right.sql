grant usage on sequence s to pum_a;
