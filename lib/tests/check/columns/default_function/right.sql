create table t (id int, x timestamptz default clock_timestamp());
