create table t (a int, b text);
create table l (x int);
