create table t (a int, b int, c text);
alter table t alter a set not null, alter b set not null;
