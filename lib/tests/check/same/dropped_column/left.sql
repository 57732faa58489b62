create table t (a int, gone int, b text default 'x', check (a > 0));
alter table t drop gone;
create index on t (b);
