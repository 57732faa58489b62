create rule x as on insert to t where new.b::text = any (array['a'::varchar::text, 'b'::varchar::text]) do instead nothing;
