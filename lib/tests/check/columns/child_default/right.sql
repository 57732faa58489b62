alter table t alter a set default 3;
