alter table t add c date;
