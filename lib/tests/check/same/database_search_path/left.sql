do $$ begin execute format('alter database %I set search_path = s, public', current_database()); end $$;
