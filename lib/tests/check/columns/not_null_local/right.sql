create table t () inherits (p);
alter table t add not null a;
