create extension postgres_fdw;
create table config (a int);
alter extension postgres_fdw add table config;
