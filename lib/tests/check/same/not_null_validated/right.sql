create table t (a int);
alter table t add constraint k not null a not valid;
alter table t validate constraint k;
