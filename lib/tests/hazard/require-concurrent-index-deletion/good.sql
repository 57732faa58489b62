-- pum: no-transaction

drop index concurrently s.pipe_zone_idx;
