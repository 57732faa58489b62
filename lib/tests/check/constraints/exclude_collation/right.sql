alter table t add constraint k exclude (d collate "C" with =);
