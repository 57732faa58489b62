create function f(a int) returns setof int language sql rows 5 as 'select 1';
