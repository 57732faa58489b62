create server s version '2' foreign data wrapper w;
