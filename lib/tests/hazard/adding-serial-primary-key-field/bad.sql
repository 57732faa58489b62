alter table s.pipe add constraint pipe_pkey primary key (id);
