create index i on t (a) with (fillfactor = 50);
