create table t (a text) partition by hash (upper(a));
