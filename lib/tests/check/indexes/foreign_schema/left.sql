create index i on s1.t (a);
