create extension btree_gist;
create table t (a int, p int4range);
