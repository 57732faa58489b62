create table t (a int);
alter table t replica identity full;
alter table t replica identity default;
