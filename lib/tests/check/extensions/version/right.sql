update pg_extension set extversion = '0.9' where extname = 'plpgsql';
