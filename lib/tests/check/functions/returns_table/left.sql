create function f() returns table (x int) language sql as 'select 1';
