alter table t1 add constraint k foreign key (a) references r;
