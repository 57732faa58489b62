create table t (a varchar, constraint k exclude ((a in ('x', 'y')) with =));
