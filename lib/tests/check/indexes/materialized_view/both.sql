create table t (a int, b text, c int[], d point, e int);
create materialized view v as select a, b from t;
