create extension postgres_fdw;
update pg_extension set extversion = '0.9' where extname = 'postgres_fdw';
