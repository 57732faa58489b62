grant create on schema public to pum_a;
alter statistics s owner to pum_a;
