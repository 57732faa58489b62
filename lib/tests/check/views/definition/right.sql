create view v as select a from t, l where a > 0;
