create table p (a int) partition by list (a);
create table t partition of p default;
create index i on only p (a);
create index t_a_idx on t (a);
alter index i attach partition t_a_idx;
