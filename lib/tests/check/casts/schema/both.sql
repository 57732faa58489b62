create schema s;
create schema t;
create type s.e as enum ('a');
create type t.e as enum ('a');
create function f(s.e) returns integer language sql as 'select 1';
create function f(t.e) returns integer language sql as 'select 1';
