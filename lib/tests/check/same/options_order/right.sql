create table t (a int) with (autovacuum_enabled = off, fillfactor = 70);
