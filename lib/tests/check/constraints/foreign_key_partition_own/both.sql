create table t (a int) partition by list (a);
create table t1 partition of t default;
create table r (id int primary key, x int, y int, unique (x, y));
