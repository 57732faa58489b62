alter table t add constraint k exclude (b with =);
