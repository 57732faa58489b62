create table t (v varchar, check (v in ('a', 'b')));
