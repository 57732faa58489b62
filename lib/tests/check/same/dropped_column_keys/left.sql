create table t (a int, b int, c text, primary key (a, b));
create index i on t (c, b);
create trigger x before update of b, c on t for each row execute function f();
comment on column t.c is 'c';
