alter table s.pipe set (fillfactor = 90);
