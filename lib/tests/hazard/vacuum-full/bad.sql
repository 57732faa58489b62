-- pum: no-transaction

vacuum full s.pipe;
