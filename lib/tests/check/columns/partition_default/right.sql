alter table t alter b set default 3;
