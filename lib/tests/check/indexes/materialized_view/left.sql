create index i on v (a);
