create table t (v varchar, constraint t_v_check check (v::text = any (array['a'::varchar::text, 'b'::varchar::text])));
