alter table t add constraint k exclude using hash (a with =);
