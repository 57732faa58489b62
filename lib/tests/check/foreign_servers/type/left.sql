create server s type 'a' foreign data wrapper w;
