create index i on s2.t (a);
