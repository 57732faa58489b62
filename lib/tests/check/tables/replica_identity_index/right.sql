alter table t replica identity using index tb;
