create function f(internal) returns internal language internal immutable as 'prsd_lextype';
create function t(internal) returns integer language internal immutable as 'int4recv';
create transform for integer language sql (from sql with function f(internal));
