create table t (a int constraint k check (a > 0), b int constraint f references t2);
