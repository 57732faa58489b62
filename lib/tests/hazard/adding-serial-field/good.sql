create sequence s.pipe_number;
alter table s.pipe add column number int;
alter table s.pipe alter column number set default nextval('s.pipe_number');
