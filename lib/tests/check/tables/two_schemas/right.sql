create table b.t (x int);
