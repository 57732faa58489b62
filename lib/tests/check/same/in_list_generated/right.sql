create table t (v varchar, g boolean generated always as (v::text = any (array['a'::varchar::text, 'b'::varchar::text])) stored);
