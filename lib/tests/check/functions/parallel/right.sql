create function f(a int) returns int language sql parallel safe as 'select 1';
