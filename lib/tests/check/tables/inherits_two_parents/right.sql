create table t (a int, b int) inherits (p1, p2);
