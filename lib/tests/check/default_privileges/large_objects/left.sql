alter default privileges grant select on large objects to pum_a;
