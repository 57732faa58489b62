create unlogged table t (a int primary key);
alter table t set logged;
