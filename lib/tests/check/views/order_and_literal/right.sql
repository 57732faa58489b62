create view v as select a, 'a b'::text as x from t, u;
