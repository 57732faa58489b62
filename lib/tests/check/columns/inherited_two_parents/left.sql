create table t (a int) inherits (p1, p2);
