create table t (id int, x int generated always as identity);
