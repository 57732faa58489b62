create server s foreign data wrapper w;
