create table t (id int, x varchar(12)[]);
