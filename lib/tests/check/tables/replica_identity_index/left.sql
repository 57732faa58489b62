alter table t replica identity using index ta;
