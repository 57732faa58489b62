-- pum: no-transaction

create unique index concurrently pipe_pkey on s.pipe (id);
alter table s.pipe add constraint pipe_pkey primary key using index pipe_pkey;
