create table t (a int) with (fillfactor = 70, autovacuum_enabled = off);
