create policy p on t for select using (a > 1);
