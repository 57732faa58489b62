create view v as select a::bigint from t, l;
