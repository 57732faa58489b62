create policy p on t using (exists (select from u where u.id = t.a and who = current_user));
