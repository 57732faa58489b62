create function f(a int) returns int language sql begin atomic select 1; select a; end;
