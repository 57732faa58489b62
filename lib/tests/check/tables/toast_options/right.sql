alter table t set (toast.autovacuum_enabled = off);
