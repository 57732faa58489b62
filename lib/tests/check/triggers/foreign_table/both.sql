create function f() returns trigger language plpgsql as 'begin return new; end';
create foreign data wrapper w;
create server s foreign data wrapper w;
create foreign table t (a int) server s;
