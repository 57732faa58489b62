create function f(internal) returns internal language internal strict as 'dsimple_init';
