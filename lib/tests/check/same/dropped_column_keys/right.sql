create table t (x int, a int, y int, b int, c text, primary key (a, b));
alter table t drop x, drop y;
create index i on t (c, b);
create trigger x before update of b, c on t for each row execute function f();
comment on column t.c is 'c';
