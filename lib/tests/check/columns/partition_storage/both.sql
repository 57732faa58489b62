create table p (a int, b text) partition by list (a);
create table t partition of p for values in (1);
