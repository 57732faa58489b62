create index i on t (a desc nulls last);
