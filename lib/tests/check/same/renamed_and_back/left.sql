create table t (a int constraint k primary key, b text default 'x');
create view v as select a, b from t;
