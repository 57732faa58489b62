create view v as select a as x, b as y from t;
