alter table s.pipe add column tag double precision default random();
