create view v as select 'a b'::text as x, a from t, u;
