create table p (a int constraint k check (a > 0));
