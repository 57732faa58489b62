create index i on only p (a);
