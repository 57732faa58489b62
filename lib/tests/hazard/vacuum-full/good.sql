-- pum: no-transaction

vacuum s.pipe;
vacuum (full false) s.pipe;
