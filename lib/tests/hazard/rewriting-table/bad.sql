alter table s.pipe set unlogged;
