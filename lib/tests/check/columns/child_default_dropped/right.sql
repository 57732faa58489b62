create table t () inherits (p);
alter table t alter a drop default;
