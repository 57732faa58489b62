create table t (id int, x int not null);
