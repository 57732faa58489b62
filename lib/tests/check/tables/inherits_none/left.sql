create table t (x int) inherits (a);
