create index i on t2 (a);
