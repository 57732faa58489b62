alter table t1 add constraint k check (a > 0);
