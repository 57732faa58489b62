create table t (id int, x d);
