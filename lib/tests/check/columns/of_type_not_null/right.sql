create table t of ty (a not null);
