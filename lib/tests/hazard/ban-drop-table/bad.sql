drop table if exists s.pipe cascade;
