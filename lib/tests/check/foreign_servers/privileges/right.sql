grant usage on foreign server s to pum_a;
