do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role pum_b; exception when duplicate_object or unique_violation then null; end $$;
create function f() returns event_trigger language plpgsql as $$ begin end $$;
create function g() returns event_trigger language plpgsql as $$ begin end $$;
create event trigger e on ddl_command_end execute function f();
