create policy p on t;
