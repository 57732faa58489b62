alter table t add constraint k check (x.f(a));
