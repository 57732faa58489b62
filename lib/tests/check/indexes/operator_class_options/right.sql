create index i on t using gist (v tsvector_ops (siglen = 100));
