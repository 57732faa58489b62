create function f() returns int language sql set my.a = '1' set my.b = '2' as 'select 1';
