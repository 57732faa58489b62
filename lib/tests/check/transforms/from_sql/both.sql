create function f(internal) returns internal language internal immutable as 'prsd_lextype';
create function t(internal) returns integer language internal immutable as 'int4recv';
