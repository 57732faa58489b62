alter table t add constraint k exclude (a with =);
