create function f(a int) returns int language sql return a + 2;
