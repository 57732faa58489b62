create table p (a int) partition by list (a);
create table t partition of p default;
create index i on p (a);
