create index i on t using gist (v);
