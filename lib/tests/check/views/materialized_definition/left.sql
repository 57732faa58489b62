create materialized view v as select t.a from t, t u;
