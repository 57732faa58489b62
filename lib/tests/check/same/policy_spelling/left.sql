create policy p on t to pum_b, pum_a using (b in ('x', 'y'));
