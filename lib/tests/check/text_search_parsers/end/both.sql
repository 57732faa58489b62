create function f(internal) returns void language internal strict as 'prsd_end';
