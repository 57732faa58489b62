create table t1 partition of t for values in (1);
