create table r (id int primary key, x int, y int, unique (x, y));
create table p (a int, constraint k foreign key (a) references r) partition by list (a);
create table t partition of p default;
