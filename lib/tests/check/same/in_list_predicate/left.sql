create table t (v varchar);
create index i on t (v) where v in ('a', 'b');
