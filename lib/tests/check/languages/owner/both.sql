do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role pum_b; exception when duplicate_object or unique_violation then null; end $$;
create function h() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler';
create function i(internal) returns void language c strict as '$libdir/plpgsql', 'plpgsql_inline_handler';
create function v(oid) returns void language c strict as '$libdir/plpgsql', 'plpgsql_validator';
create trusted language l handler h;
