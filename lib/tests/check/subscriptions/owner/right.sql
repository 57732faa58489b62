update pg_subscription set subowner = 'pum_a'::regrole where subname = 's' and subdbid = (select oid from pg_database where datname = current_database());
