alter table t enable replica trigger x;
