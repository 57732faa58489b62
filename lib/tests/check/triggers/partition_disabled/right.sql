alter table t disable trigger x;
