create schema s;
create type s.a as range (subtype = integer);
create type s.b as range (subtype = integer);
