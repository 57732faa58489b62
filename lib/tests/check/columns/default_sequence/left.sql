create table t (id int, x int default nextval('a.s'));
