create table t (id int, x varchar(10)[]);
