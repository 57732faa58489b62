create index i on t (b);
