create table t (id int, x text collate b.c);
