create table t () inherits (p);
alter table t add constraint k2 check (a > 1);
