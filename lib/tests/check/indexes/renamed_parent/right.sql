create index pj on p (a);
