create function f(integer, integer) returns integer language sql immutable as 'select 0';
