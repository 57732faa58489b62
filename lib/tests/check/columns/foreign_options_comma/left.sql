create foreign table t (a int options (x '1, y=2')) server s;
