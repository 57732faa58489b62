create table t (a int primary key);
create index on t (a);
