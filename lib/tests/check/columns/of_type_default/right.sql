create table t of ty (a with options default 1);
