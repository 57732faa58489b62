create table t (v varchar);
create view v as select v from t where v in ('a', 'b');
