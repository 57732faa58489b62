create table t (id int, x int default 1);
