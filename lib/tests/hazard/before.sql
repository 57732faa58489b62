create schema s;
create schema old;
create table old.pipe (id int);
create type s.state as enum ('planned', 'operating');
create domain s.code as text;
create table s.zone (id int primary key, name text);
insert into s.zone select i, 'zone ' || i from generate_series(1, 10) i;
create table s.pipe (
    id int not null,
    zone int,
    code varchar(10),
    length int,
    state s.state,
    label s.code
);
insert into s.pipe select i, i % 10 + 1, 'P' || i, i, 'planned', 'L' || i from generate_series(1, 500) i;
create index pipe_zone_idx on s.pipe (zone);
create unique index pipe_length_idx on s.pipe (length);
create table s.reading (day date not null, value int) partition by range (day);
create table s.reading_2023 partition of s.reading for values from ('2023-01-01') to ('2024-01-01');
create table s.reading_2024 (day date not null, value int);
insert into s.reading_2024 select date '2024-01-01' + i, i from generate_series(1, 100) i;
create materialized view s.summary as select zone, count(*) from s.pipe group by zone;
create unique index summary_zone_idx on s.summary (zone);
