create table a.t (x int);
