create table t (id int, x timestamp(3));
