create table t (a int) using heap2;
