alter table t add constraint k unique nulls not distinct (a);
