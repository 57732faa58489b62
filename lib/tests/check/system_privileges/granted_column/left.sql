grant select (rolname) on pg_authid to pum_a;
