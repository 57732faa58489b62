create index i on t (b bpchar_ops);
