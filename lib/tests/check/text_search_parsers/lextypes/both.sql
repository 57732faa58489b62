create function f(internal) returns internal language internal strict as 'prsd_lextype';
