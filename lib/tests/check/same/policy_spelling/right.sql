create policy p on t to pum_a, pum_b using ((b = any (array['x'::text, 'y'])));
