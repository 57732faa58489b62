create policy p on t for delete using (a > 1);
