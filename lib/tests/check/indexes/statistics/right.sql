alter index i alter 1 set statistics 50;
