create function f() returns int language sql set my.url = 'postgres://u:geheim@h/d' as 'select 1';
