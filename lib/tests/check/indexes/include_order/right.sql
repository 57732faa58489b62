create index i on t (a) include (e, b);
