create table t (id int, x jsonb);
