create function f(inout a int) language sql as 'select 1';
