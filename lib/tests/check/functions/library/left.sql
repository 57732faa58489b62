create function f() returns trigger language c as '$libdir/refint', 'check_primary_key';
