create table t (a text);
alter table t alter a set storage main;
alter table t alter a set storage extended;
