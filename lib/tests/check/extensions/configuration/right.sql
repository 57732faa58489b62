update pg_extension set extconfig = array['config'::regclass::oid], extcondition = array['where a > 1'] where extname = 'postgres_fdw';
