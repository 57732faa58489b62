alter table t add constraint k foreign key (a) references r on update set null;
