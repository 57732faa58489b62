create function f(internal, internal, internal, internal) returns internal language internal strict as 'dsimple_lexize';
