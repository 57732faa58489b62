update pg_foreign_server set srvowner = 'pum_a'::regrole;
