do $$ begin execute format('grant create on database %I to pum_a', current_database()); end $$;
do $$ begin execute format('revoke create on database %I from pum_a', current_database()); end $$;
