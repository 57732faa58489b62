grant create on schema public to pum_a;
