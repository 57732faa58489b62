create table t (a text collate "default");
