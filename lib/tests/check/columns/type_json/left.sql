create table t (id int, x json);
