alter table only t add constraint k primary key (a);
