update pg_index set indisready = false where indexrelid = 'i'::regclass;
