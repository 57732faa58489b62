alter default privileges in schema app grant all on sequences to pum_a;
