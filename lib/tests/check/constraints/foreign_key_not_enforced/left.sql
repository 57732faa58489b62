alter table t add constraint k foreign key (a) references r;
