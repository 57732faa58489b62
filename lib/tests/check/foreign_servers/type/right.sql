create server s type 'b' foreign data wrapper w;
