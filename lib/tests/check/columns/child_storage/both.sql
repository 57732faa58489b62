create table p (a text);
create table t () inherits (p);
