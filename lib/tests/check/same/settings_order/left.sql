do $$ begin execute format('alter database %I set work_mem = $v$8MB$v$', current_database()); end $$;
do $$ begin execute format('alter database %I set jit = off', current_database()); end $$;
