alter default privileges grant select, insert on tables to pum_a;
