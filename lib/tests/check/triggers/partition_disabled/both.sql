create function f() returns trigger language plpgsql as 'begin return new; end';
create function g() returns trigger language plpgsql as 'begin return new; end';
create table p (a int) partition by list (a);
create table t partition of p for values in (1);
create trigger x after insert on p for each row execute function f();
