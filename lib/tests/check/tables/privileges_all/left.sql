grant all on t to pum_a;
