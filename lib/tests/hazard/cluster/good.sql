alter table s.pipe cluster on pipe_zone_idx;
