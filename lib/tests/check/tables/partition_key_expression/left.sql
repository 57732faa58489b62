create table t (a text) partition by hash (lower(a));
