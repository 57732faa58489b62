alter table s.pipe add constraint pipe_length_check check (length > 0) not valid;
alter table s.pipe validate constraint pipe_length_check;
