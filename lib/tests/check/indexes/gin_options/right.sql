create index i on t using gin (c) with (fastupdate = off);
