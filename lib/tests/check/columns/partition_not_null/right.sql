alter table t1 alter a set not null;
