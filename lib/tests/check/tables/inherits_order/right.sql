create table t (x int) inherits (b, a);
