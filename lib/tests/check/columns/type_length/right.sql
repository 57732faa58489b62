create table t (id int, v varchar(11));
