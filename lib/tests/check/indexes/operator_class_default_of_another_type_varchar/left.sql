create index i on t (v);
