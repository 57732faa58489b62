do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
create view t as select 1 as a;
