grant create on schema public to pum_a; revoke create on schema public from pum_a;
