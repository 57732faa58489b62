alter table t1 replica identity full;
