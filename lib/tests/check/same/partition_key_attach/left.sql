create table p (a int primary key) partition by list (a);
create table t partition of p default;
