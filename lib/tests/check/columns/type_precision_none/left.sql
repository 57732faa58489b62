create table t (id int, n numeric);
