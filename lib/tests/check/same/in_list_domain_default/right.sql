create domain d as boolean default ('x'::varchar::text = any (array['a'::varchar::text, 'b'::varchar::text]));
