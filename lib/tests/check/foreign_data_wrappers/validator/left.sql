create foreign data wrapper w validator postgres_fdw_validator;
