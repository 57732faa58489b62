create view v as select a from t, l union select x from t, l;
