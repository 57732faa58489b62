create function f(int) returns int language internal as 'int4um';
