alter table t enable always trigger x;
