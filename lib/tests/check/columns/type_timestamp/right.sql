create table t (id int, x timestamptz);
