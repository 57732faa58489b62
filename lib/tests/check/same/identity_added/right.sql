create table t (a int not null);
alter table t alter a add generated always as identity;
