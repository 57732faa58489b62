create view v as select b, a from t, l;
