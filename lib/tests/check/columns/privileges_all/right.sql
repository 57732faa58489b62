grant all (b) on t to pum_a;
