create table s.staging (id int);
drop table s.staging;
