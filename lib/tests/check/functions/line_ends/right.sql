create function f(a int) returns int language sql as E'select\r\n1';
