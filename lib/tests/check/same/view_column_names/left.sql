create view v (x, y) as select a, b from t;
