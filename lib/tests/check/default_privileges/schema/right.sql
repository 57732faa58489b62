alter default privileges grant select on tables to pum_a;
