create table t (a text) partition by list (a);
create table t1 partition of t default;
