create index i on t using hash (a);
