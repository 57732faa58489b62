create table t (a int, b text default 'x', check (a > 0));
create index on t (b);
