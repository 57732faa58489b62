alter table only t add constraint k primary key (a);
alter index k attach partition t1_pkey;
