create function f(a int) returns int language sql security definer as 'select 1';
