create table t (a int, b text);
create table l (a int);
create view v as select a, b from t;
create rule x as on insert to t do instead nothing;
