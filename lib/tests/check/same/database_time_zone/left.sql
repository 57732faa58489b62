do $$ begin execute format('alter database %I set timezone = %L', current_database(), 'Asia/Tokyo'); end $$;
