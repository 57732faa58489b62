create function f() returns trigger language plpgsql as 'begin return new; end';
create table t (a int) partition by list (a);
create table t1 partition of t default;
create trigger x after insert on t for each row execute function f();
