create index i on t (lower(b), a);
