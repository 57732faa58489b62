do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
create function f() returns int language sql as 'select 1';
