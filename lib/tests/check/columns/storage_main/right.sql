alter table t alter b set storage main;
