alter table t add constraint k unique (b);
