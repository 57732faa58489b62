create table t (id int, x bit(3));
