create table t (a timestamptz default '2020-01-01 12:00:00+00', b interval default '1 day 2 hours');
create view v as select * from t where a > '2021-01-01 00:00:00+00';
