create table t (a int primary key, b text);
create table u (a int primary key);
