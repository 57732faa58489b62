create table p (a int default 1);
