alter table t alter b set statistics 0;
