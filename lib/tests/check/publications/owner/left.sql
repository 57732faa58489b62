update pg_publication set pubowner = 'pum_a'::regrole;
