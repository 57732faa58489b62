-- pum: no-transaction

create unique index concurrently pipe_code_key on s.pipe (code);
alter table s.pipe add constraint pipe_code_key unique using index pipe_code_key;
