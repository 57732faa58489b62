create function f(integer, bigint) returns boolean language sql immutable as 'select true';
