create table t of ty;
