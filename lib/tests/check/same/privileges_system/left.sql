revoke execute on function pg_sleep(double precision) from public;
grant execute on function pg_sleep(double precision) to public;
grant select on pg_class to pum_a;
revoke select on pg_class from pum_a;
