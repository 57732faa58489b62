drop index s.pipe_zone_idx;
