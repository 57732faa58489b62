create function f(a int) returns int language sql leakproof as 'select 1';
