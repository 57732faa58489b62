create view v as select a from t, l union all select x from t, l;
