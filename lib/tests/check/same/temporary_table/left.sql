create temp table t (a int);
