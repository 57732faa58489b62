grant all on sequence s to pum_a;
grant all on schema app to pum_a;
