grant all on pg_authid to pum_a with grant option;
