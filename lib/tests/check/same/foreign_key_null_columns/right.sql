create table t (a int, b int, constraint k foreign key (a, b) references r (x, y) on delete set null (b, a));
