alter table t add constraint k exclude (d text_pattern_ops with =);
