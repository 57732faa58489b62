update pg_index set indisvalid = false where indexrelid = 'i'::regclass;
