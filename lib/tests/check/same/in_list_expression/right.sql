create table t (a int, v varchar);
create index i on t (a, (v::text = any (array['a'::varchar::text, 'b'::varchar::text])));
