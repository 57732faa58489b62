alter table t add constraint k foreign key (a, period p) references r (id, period p);
