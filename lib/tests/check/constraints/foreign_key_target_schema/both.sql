create table t (a int, b int, c text);
create schema a;
create table a.r (id int primary key);
create schema b;
create table b.r (id int primary key);
