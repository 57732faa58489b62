create table t (a int generated always as identity (start 10 increment 10));
