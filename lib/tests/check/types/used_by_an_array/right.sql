create table t (p int[]);
