alter default privileges grant usage on schemas to pum_a;
