create table t (a text) partition by range (a text_pattern_ops);
