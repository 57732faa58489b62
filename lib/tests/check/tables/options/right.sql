alter table t set (fillfactor = 70, autovacuum_enabled = off);
