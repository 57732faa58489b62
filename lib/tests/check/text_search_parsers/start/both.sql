create function f(internal, integer) returns internal language internal strict as 'prsd_start';
