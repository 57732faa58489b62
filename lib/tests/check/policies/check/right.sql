create policy p on t using (true) with check (a > 2);
