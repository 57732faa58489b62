grant usage on foreign data wrapper postgres_fdw to pum_a;
