create foreign table t (a int) server s options (x '1, y=2');
