create table t (id int, x timestamp);
