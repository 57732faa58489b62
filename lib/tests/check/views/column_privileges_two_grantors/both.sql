do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role pum_b; exception when duplicate_object or unique_violation then null; end $$;
create view v as select 1 as a;
grant select (a), update (a) on v to pum_a with grant option;
