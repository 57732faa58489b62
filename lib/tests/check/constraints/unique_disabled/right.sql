alter table t disable trigger all;
