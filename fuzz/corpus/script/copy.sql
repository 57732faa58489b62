copy t (a, b) from stdin;
1	\\N
2	x;y
\.
select 1;
