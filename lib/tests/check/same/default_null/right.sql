create table t (a int default null);
