create schema s;
create schema t;
create type s.e as enum ('a');
create type t.e as enum ('a');
