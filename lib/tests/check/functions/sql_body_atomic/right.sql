create function f(a int) returns int language sql begin atomic select a; end;
