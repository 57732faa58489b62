alter table t1 alter a set statistics 7;
