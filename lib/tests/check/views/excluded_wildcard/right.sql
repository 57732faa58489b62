alter table t add z int;
create view v as select * from t, l;
