grant select on t to pum_a with grant option;
grant select on t to pum_b;
