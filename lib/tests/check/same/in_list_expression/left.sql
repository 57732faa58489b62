create table t (a int, v varchar);
create index i on t (a, (v in ('a', 'b')));
