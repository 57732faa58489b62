do $$ begin execute format('alter database %I set my.url = $v$postgres://u:geheim@h/d$v$', current_database()); end $$;
