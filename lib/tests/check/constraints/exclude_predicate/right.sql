alter table t add constraint k exclude (a with =) where (b = 1);
