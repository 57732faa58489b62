create table t (v varchar);
create view v as select v from t where v::text = any (array['a'::varchar::text, 'b'::varchar::text]);
