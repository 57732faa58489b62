create table t (a int);
create index i on t (a);
alter table t cluster on i;
alter table t set without cluster;
