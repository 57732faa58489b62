create function f(v varchar) returns boolean language sql return v in ('a', 'b');
