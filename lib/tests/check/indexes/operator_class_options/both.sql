create table t (v tsvector);
