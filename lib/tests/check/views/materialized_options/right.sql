create materialized view v with (fillfactor = 80) as select a from t;
