create schema s;
create table s.r (id int primary key);
create sequence s.q;
create table s.t (a int default nextval('s.q') references s.r);
create view s.v as select a from s.t;
create index on s.t (a);
