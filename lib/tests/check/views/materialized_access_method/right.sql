create materialized view v using heap2 as select a from t;
