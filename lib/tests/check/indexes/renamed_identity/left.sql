create unique index i1 on t (a); alter table t replica identity using index i1; cluster t using i1;
