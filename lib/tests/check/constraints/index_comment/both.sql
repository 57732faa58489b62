create table t (a int constraint k primary key);
