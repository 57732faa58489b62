create table t (id int, x a.e);
