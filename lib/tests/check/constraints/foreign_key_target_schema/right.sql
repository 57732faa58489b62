alter table t add constraint k foreign key (a) references b.r;
