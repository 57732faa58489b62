create table r (id int primary key, x int, y int, unique (x), unique (x, y));
create table p (a int references r) partition by list (a);
create table t partition of p for values in (1);
