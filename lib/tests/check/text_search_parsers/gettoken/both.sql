create function f(internal, internal, internal) returns internal language internal strict as 'prsd_nexttoken';
