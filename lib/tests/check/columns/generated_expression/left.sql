create table t (id int, x int generated always as (id + 2) stored);
