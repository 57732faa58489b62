create schema fresh;
create table fresh.pipe (id int);
drop schema fresh cascade;
create schema other;
drop schema other;
