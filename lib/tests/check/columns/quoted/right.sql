create table t ("A b" text);
