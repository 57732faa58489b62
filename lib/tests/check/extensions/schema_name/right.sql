create extension postgres_fdw schema public;
