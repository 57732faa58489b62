do $$ begin execute format('alter database %I set search_path = app', current_database()); end $$;
