create index pi on p (a);
