create table t (a int constraint k references r not enforced);
alter table t alter constraint k enforced;
