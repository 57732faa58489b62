create index i on t (a nulls first);
