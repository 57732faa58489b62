create table p (a int, b text) partition by list (a);
