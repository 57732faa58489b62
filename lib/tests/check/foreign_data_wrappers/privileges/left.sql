grant usage on foreign data wrapper w to pum_a;
