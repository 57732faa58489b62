create foreign table t (a int options (x '2')) server s;
