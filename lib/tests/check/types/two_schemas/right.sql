create type s.e as enum ('b');
create type t.e as enum ('a');
