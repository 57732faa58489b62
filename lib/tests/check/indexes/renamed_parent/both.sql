create table p (a int) partition by list (a); create table c partition of p for values in (1);
