create table t (a int, b int, c text);
create schema x;
create function x.f(int) returns boolean language sql immutable as $$select true$$;
create schema y;
create function y.f(int) returns boolean language sql immutable as $$select true$$;
