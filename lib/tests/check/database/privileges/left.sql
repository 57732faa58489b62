do $$ begin execute format('grant create on database %I to pum_a', current_database()); end $$;
