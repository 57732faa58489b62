create table t partition of p for values in (1);
