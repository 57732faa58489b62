create materialized view v as select a + 1 as a from t;
