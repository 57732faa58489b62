grant select (a), update (a) on t to pum_a;
