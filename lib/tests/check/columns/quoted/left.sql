create table t ("A b" int);
