create function f(a int) returns int language sql strict as 'select 1';
