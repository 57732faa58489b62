create table t (id int, x interval day to hour);
