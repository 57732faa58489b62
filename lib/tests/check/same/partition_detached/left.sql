create table p (a int) partition by list (a);
create table t (a int);
