create table t (a int not null, b int, c int, d int);
alter table t add primary key (a);
alter table t add unique (b);
alter table t add check (c > 0);
alter table t add foreign key (d) references t;
