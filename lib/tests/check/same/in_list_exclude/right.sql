create table t (a int, v varchar, constraint k exclude (a with =) where (v::text = any (array['a'::varchar::text, 'b'::varchar::text])));
