create function f() returns table (y int) language sql as 'select 1';
