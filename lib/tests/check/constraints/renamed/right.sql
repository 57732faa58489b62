alter table t add constraint k2 check (a > 0);
