create table t (b varchar);
