create function f() returns trigger language plpgsql as 'begin return new; end';
create table p (a int) partition by list (a);
create table t (a int);
alter table p attach partition t default;
create trigger x after insert on p for each row execute function f();
