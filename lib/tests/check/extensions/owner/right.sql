update pg_extension set extowner = 'pum_a'::regrole where extname = 'postgres_fdw';
