do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
create view v as select 1 as a, 2 as b;
