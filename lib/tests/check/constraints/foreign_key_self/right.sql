alter table t add constraint k foreign key (b) references r;
