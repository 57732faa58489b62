create function f(integer, integer) returns boolean language sql immutable as 'select true';
create function g(integer, integer) returns boolean language sql immutable as 'select true';
create function h(integer, integer) returns integer language sql immutable as 'select 1';
