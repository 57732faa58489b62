create type c as (a integer);
create function f(c) returns integer language sql as 'select 1';
create function g(c) returns integer language sql as 'select 1';
create cast (c as integer) with function f(c);
