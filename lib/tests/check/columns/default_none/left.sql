create table t (id int, x int);
