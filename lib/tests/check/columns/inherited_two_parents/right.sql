create table t () inherits (p1, p2);
