create schema s;
create schema t;
create function s.f() returns integer language sql as 'select 1';
create function t.f() returns integer language sql as 'select 1';
