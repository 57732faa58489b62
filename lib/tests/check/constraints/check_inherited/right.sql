create table t (constraint k check (a > 0)) inherits (p);
