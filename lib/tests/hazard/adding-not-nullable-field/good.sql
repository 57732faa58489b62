-- pum: no-transaction

alter table s.pipe add constraint pipe_length_there check (length is not null) not valid;
alter table s.pipe validate constraint pipe_length_there;
alter table s.pipe alter column length set not null;
alter table s.pipe drop constraint pipe_length_there;
