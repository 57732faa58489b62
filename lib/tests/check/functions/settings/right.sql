create function f(a int) returns int language sql set search_path = public, pg_temp as 'select 1';
