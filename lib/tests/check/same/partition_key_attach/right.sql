create table p (a int not null) partition by list (a);
create table t (a int primary key);
alter table p attach partition t default;
alter table p add primary key (a);
