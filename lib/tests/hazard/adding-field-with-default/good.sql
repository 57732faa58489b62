alter table s.pipe
    add column a int default -1,
    add column b text default lower('X') not null,
    add column c timestamp with time zone default now(),
    add column d date default current_date,
    add column e int[] default array[1, 2]::int[],
    add column f int default (0),
    add column g timestamp with time zone default pg_catalog.now();
alter table s.pipe add column tag double precision;
alter table s.pipe alter column tag set default random();
