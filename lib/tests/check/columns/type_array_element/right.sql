create table t (id int, x bigint[]);
