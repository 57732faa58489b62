alter table t alter b set (n_distinct = 5);
