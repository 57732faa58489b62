create table t (a int constraint x not null);
