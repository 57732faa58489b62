alter table t alter a set (n_distinct = 7);
