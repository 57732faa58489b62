create table t (a int constraint k references r);
