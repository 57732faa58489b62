create view v as select a as y from t, l;
