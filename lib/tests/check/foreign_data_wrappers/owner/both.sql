do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role pum_b; exception when duplicate_object or unique_violation then null; end $$;
create foreign data wrapper w;
