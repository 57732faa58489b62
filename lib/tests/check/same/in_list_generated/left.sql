create table t (v varchar, g boolean generated always as (v in ('a', 'b')) stored);
