create policy p on t using (((v)::text = any (array[('a'::character varying)::text, ('b'::character varying)::text])));
