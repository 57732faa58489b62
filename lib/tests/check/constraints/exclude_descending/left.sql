alter table t add constraint k exclude (d with =);
