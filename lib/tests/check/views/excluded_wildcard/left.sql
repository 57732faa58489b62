create view v as select * from t, l;
alter table t add z int;
