create table t (a int not null);
create unique index t_pkey on t (a);
alter table t add constraint t_pkey primary key using index t_pkey;
