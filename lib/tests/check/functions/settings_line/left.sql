create function f() returns int language sql set my.a = E'1\nmy.b=2' as 'select 1';
