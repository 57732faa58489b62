do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role pum_b; exception when duplicate_object or unique_violation then null; end $$;
create function f(integer, integer) returns boolean language sql immutable as 'select true';
create function g(integer, integer) returns boolean language sql immutable as 'select true';
create operator === (leftarg = integer, rightarg = integer, function = f);
