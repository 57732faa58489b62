create table t (a int primary key, b int unique, c int check (c > 0), d int references t);
