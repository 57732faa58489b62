create table t (a varchar) partition by list ((a in ('x', 'y')));
