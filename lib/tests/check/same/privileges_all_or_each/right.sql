grant select, update, usage on sequence s to pum_a;
grant create, usage on schema app to pum_a;
