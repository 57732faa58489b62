create table t (v varchar);
create index i on t (v) where v::text = any (array['a'::varchar::text, 'b'::varchar::text]);
