create schema s1;
create schema s2;
create table s1.t (a int);
create table s2.t (a int);
