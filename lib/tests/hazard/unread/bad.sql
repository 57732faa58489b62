do $$ begin execute 'select ' || 1; end $$;
