create foreign table t (a int) server s;
