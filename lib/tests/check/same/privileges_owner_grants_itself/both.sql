create table t (a int, b text);
create function f() returns int language sql as $$ select 1 $$;
create sequence s;
create schema app;
create type e as enum ('a');
