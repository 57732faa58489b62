alter default privileges in schema app grant usage on sequences to pum_a with grant option;
