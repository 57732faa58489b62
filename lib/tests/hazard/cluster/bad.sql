cluster s.pipe using pipe_zone_idx;
