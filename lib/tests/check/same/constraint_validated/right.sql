create table t (a int, b int);
alter table t add constraint k check (a > 0) not valid;
alter table t add constraint f foreign key (b) references t2 not valid;
alter table t validate constraint k;
alter table t validate constraint f;
