create table t (a int, b text);
create schema s1;
create schema s2;
create function s1.f() returns trigger language plpgsql as 'begin return new; end';
create function s2.f() returns trigger language plpgsql as 'begin return new; end';
