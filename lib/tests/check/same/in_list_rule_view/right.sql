create rule x as on insert to v do instead insert into t select new.b where new.b::text = any (array['a'::varchar::text, 'b'::varchar::text]);
