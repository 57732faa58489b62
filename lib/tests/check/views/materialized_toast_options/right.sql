alter materialized view m set (toast.autovacuum_enabled = false);
