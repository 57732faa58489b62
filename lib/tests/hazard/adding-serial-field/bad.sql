alter table s.pipe add column number serial;
