do $$ begin execute format('alter database %I owner to pum_a', current_database()); end $$;
