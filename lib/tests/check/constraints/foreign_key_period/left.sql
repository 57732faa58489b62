alter table t add constraint k foreign key (a, p) references s (id, p);
