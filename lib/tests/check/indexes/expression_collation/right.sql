create index i on t (lower(b) collate "C");
