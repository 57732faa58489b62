create extension hstore schema s;
alter table s.pipe add column tags s.hstore;
drop extension hstore cascade;
