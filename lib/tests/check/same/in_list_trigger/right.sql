create trigger x before update on t for each row when (new.b::text = any (array['a'::varchar::text, 'b'::varchar::text])) execute function f();
