revoke execute on function postgres_fdw_handler() from public;
