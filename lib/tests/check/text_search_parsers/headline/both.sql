create function f(internal, internal, tsquery) returns internal language internal strict as 'prsd_headline';
