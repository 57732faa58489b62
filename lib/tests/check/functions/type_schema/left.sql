create function f(x a.e) returns int language sql as 'select 1';
