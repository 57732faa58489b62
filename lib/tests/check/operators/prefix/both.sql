create function f(integer) returns boolean language sql immutable as 'select true';
create function g(integer) returns boolean language sql immutable as 'select true';
