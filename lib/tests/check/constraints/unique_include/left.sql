alter table t add constraint k unique (a) include (b);
