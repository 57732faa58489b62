-- pum: no-transaction

create index concurrently pipe_code_idx on s.pipe (code);
