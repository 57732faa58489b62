create table r (id int primary key, x int, y int, unique (x, y));
