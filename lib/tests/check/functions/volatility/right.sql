create function f(a int) returns int language sql stable as 'select 1';
