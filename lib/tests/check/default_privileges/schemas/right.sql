alter default privileges grant all on schemas to pum_a;
