alter table t1 add constraint k unique (a);
