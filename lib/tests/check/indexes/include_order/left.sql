create index i on t (a) include (b, e);
