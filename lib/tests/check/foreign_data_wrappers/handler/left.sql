create foreign data wrapper w handler postgres_fdw_handler;
