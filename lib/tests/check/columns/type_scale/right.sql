create table t (id int, n numeric(10,3));
