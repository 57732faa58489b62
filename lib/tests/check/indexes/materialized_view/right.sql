create index i on v (b);
