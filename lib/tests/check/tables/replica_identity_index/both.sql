create table t (a int not null, b int not null);
create unique index ta on t (a);
create unique index tb on t (b);
