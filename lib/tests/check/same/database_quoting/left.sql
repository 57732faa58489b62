do $$ begin execute format('alter database %I set quote_all_identifiers = on', current_database()); end $$;
