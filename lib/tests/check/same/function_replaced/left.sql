create function f() returns int language sql as 'select 2';
create or replace function f() returns int language sql as 'select 1';
