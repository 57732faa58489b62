create foreign table t (a int options (x '1')) server s;
