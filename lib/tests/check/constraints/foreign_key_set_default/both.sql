create table r (id int primary key, x int, y int, unique (x, y));
create table t (a int, b int, c int4range, d text);
