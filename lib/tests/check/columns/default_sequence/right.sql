create table t (id int, x int default nextval('b.s'));
