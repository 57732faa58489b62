alter table t add constraint k1 check (a > 0);
