-- pum: no-transaction

reindex table concurrently s.pipe;
