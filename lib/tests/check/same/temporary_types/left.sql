create type pg_temp.e as enum ('a');
create domain pg_temp.d as integer check (value > 0);
create function pg_temp.f(pg_temp.e) returns integer language sql as 'select 1';
create cast (pg_temp.e as integer) with function pg_temp.f(pg_temp.e);
