alter table t add constraint k unique (a) deferrable initially deferred;
