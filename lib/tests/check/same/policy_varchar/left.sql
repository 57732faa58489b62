create policy p on t using (v in ('a', 'b'));
