create function f(x boolean default 'x'::varchar::text = any (array['a'::varchar::text, 'b'::varchar::text])) returns int language sql as 'select 1';
