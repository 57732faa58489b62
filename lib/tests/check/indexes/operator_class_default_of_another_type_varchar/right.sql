create index i on t (v bpchar_ops);
