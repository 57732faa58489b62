create unique index i2 on t (a); alter table t replica identity using index i2; cluster t using i2;
