create table t (id int, x int generated always as (id + 1) stored);
