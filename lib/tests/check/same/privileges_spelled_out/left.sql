grant select on t to pum_a; revoke select on t from pum_a;
grant execute on function f() to pum_a; revoke execute on function f() from pum_a;
grant usage on sequence s to pum_a; revoke usage on sequence s from pum_a;
grant usage on schema app to pum_a; revoke usage on schema app from pum_a;
revoke usage on type e from public; grant usage on type e to public;
grant select (a) on t to pum_a; revoke select (a) on t from pum_a;
