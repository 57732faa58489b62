create table p (a int primary key) partition by list (a);
