revoke execute on function postgres_fdw_get_connections() from public;
