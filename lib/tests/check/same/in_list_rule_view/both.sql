create table t (b varchar);
create view v as select b from t;
