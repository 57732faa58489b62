alter table s.pipe add column depth int constraint pipe_depth_check check (depth > 0);
