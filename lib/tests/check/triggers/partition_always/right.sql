alter table t1 enable always trigger x;
