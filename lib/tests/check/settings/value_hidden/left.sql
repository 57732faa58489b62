do $$ begin execute format('alter database %I set app.jwt_secret = $v$geheim$v$', current_database()); end $$;
