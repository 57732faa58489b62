update pg_foreign_data_wrapper set fdwowner = 'pum_a'::regrole where fdwname = 'w';
