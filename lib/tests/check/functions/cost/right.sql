create function f(a int) returns int language sql cost 5 as 'select 1';
