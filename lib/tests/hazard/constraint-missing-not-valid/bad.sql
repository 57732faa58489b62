alter table s.pipe add constraint pipe_length_check check (length > 0);
