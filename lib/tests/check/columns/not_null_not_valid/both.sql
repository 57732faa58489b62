create table t (a int);
alter table t add constraint n not null a;
