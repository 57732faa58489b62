alter table t add constraint k foreign key (a, b) references r (x, y) on delete set default (a);
