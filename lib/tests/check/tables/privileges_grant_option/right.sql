grant select on t to pum_a;
