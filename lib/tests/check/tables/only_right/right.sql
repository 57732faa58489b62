create table t (a int, b serial, check (a > 0));
