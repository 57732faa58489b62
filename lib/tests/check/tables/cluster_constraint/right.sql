alter table t cluster on k;
