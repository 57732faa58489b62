alter table t add constraint k foreign key (b, a) references r (x, y);
