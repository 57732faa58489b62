create table t (id int, x interval year to month);
