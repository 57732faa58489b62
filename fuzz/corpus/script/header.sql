-- pum: no-transaction
-- pum: allow index-concurrently small table
create index concurrently i on t (a);
