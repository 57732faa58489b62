alter table t add constraint k check (c in ('a', 'b'));
