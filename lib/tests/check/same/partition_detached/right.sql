create table p (a int) partition by list (a);
create table t partition of p default;
alter table p detach partition t;
