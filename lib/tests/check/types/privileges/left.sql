grant usage on type e to pum_a;
