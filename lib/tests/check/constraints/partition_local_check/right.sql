alter table t add check (b > 0);
