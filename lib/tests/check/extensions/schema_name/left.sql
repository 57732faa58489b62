create extension postgres_fdw schema app;
