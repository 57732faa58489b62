alter table t drop b;
