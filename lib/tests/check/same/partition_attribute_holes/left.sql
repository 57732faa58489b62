create table p (a int, b text, c int) partition by list (a);
create table t partition of p default;
