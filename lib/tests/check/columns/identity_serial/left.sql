create table t (id int, x serial);
