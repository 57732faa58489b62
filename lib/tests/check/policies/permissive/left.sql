create policy p on t as restrictive;
