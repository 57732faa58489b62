update pg_index set indisvalid = false, indisready = false, indislive = false where indexrelid = 'i'::regclass;
