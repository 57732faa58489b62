create function f() returns trigger language plpgsql as 'begin return new; end';
create table p (a int) partition by list (a);
create trigger x after insert on p for each row execute function f();
create table t partition of p default;
