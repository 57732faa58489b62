create function f(a int) returns int language plpgsql as 'select 1';
