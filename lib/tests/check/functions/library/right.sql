create function f() returns trigger language c as '$libdir/autoinc', 'autoinc';
