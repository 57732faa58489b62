create table p (a int);
create table t () inherits (p);
