create function f(integer, integer) returns boolean language sql immutable as 'select true';
create function g(integer, integer) returns boolean language sql immutable as 'select true';
create operator === (leftarg = integer, rightarg = integer, function = f);
