create table t (id int, x int generated always as (1) stored);
