alter table s.pipe add constraint pipe_code_key unique (code);
