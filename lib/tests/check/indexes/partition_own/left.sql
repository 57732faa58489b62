create index i on t1 (a);
