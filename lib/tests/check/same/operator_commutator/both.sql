create function f(integer, bigint) returns boolean language sql immutable as 'select true';
create function g(bigint, integer) returns boolean language sql immutable as 'select true';
