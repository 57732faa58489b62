create index i on t (lower(b) bpchar_ops);
