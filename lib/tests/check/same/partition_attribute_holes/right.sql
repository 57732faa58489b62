create table p (a int, b text, c int) partition by list (a);
create table t (x int, a int, y int, b text, c int);
alter table t drop x, drop y;
alter table p attach partition t default;
