alter table t add constraint k check (y.f(a));
