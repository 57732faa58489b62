create table t (a int constraint y not null);
