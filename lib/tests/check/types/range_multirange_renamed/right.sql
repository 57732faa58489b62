alter type r rename to t;
alter type r_multirange rename to t_multirange;
