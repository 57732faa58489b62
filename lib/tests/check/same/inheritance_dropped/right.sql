create table p (a int);
create table t () inherits (p);
alter table t no inherit p;
