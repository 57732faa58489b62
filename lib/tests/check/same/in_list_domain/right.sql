create domain d as varchar constraint c check (value::text = any (array['a'::varchar::text, 'b'::varchar::text]));
