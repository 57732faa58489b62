create function f(x b.e) returns int language sql as 'select 1';
