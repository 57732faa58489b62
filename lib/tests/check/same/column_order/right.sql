create table t (b text, a int);
create index i on t (b, a);
