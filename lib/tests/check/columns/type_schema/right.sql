create table t (id int, x b.e);
