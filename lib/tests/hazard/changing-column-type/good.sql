alter table s.pipe add column length_new bigint;
