grant select on pg_authid to pum_a;
