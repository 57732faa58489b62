create policy p on t to pum_a;
