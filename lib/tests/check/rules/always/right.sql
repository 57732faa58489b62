alter table t enable always rule x;
