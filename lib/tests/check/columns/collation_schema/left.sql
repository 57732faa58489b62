create table t (id int, x text collate a.c);
