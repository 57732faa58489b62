create index i on t (b collate "C");
