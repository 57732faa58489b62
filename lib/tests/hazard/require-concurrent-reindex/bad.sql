reindex table s.pipe;
