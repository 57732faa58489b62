create table t (b text, a int);
alter table p attach partition t for values in (1);
