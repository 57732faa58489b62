create function f(v varchar) returns boolean language sql return v::text = any (array['a'::varchar::text, 'b'::varchar::text]);
