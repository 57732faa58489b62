create table t (id int, x char(3));
