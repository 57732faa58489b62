do $$ begin execute format('alter role pum_b in database %I set work_mem = $v$8MB$v$', current_database()); end $$;
