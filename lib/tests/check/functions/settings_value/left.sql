create function f(a int) returns int language sql set work_mem = '1MB' as 'select 1';
