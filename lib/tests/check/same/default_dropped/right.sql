create table t (a int default 1);
alter table t alter a drop default;
