grant usage on schema app to pum_a;
