create index i on p (a);
