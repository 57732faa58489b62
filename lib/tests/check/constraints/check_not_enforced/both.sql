create table r (id int primary key, x int, y int, unique (x), unique (x, y));
create table t (a int, b int, c text);
