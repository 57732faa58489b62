alter table s.pipe add column depth int;
update s.pipe set depth = 1;
