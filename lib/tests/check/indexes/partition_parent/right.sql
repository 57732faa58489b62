create index i on only p (a);
create index t_a_idx on t (a);
