do $$ begin execute format('comment on database %I is $c$ours$c$', current_database()); end $$;
