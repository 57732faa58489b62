create table t (a int constraint k primary key, b text default 'x');
create view v as select a, b from t;
alter table t rename to u;
alter table u rename a to z;
alter table u rename z to a;
alter table u rename to t;
