alter table t1 set (fillfactor = 70);
