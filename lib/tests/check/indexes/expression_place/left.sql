create index i on t (a, lower(b));
