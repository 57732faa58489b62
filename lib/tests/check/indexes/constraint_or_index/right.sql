alter table t add constraint i unique (a);
