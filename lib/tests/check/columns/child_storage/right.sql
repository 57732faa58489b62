alter table t alter a set storage external;
