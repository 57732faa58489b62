alter table t disable rule x;
