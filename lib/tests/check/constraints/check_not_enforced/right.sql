alter table t add constraint k check (a > 0) not enforced;
