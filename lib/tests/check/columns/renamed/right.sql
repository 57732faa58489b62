alter table t rename b to c;
