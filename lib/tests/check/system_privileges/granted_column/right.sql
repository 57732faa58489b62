grant select (rolsuper) on pg_authid to pum_a;
