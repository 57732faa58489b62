create table t () inherits (p);
