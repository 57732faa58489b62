alter table r add unique (id, p);
alter table t add constraint k foreign key (a, p) references r (id, p);
