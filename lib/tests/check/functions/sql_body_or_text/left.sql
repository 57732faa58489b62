create function f(a int) returns int language sql return 1;
