create foreign data wrapper w;
create foreign data wrapper w2;
