create table t (a int4, b timestamp, c varchar(5), d decimal, e float);
