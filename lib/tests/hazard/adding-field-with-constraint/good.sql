alter table s.pipe add column depth int, add column second_zone int references s.zone;
alter table s.pipe add constraint pipe_depth_check check (depth > 0) not valid;
