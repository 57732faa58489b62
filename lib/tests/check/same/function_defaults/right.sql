create function f(in a int) returns int language sql volatile called on null input security invoker parallel unsafe not leakproof cost 100 as 'select 1';
