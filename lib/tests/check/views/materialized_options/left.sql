create materialized view v as select a from t;
