create function f(a int) returns bigint language sql as 'select 1::bigint';
