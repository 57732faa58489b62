alter table t set tablespace pum_space;
