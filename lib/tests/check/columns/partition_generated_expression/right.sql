create table t1 (a int, b int generated always as (a * 3) stored);
alter table t attach partition t1 for values in (1);
