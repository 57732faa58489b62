create schema s;
create schema t;
create function s.f(integer) returns boolean language sql as 'select true';
create function t.f(integer) returns boolean language sql as 'select true';
