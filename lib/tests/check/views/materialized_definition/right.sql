create materialized view v as select t.a + 1 as a from t, t u;
