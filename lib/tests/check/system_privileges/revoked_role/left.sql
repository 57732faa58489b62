revoke execute on function pg_sleep(double precision) from public;
grant execute on function pg_sleep(double precision) to pum_a;
