create index i on t using brin (a) with (pages_per_range = 16);
