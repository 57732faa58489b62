do $$ begin execute format('alter role pum_a in database %I set work_mem = $v$8MB$v$', current_database()); end $$;
