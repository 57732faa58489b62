create table t (id int, x varbit(3));
