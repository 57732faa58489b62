create index i on t (upper(b));
