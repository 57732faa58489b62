create table t (a int) inherits (p);
