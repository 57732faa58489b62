create cast (integer as c) with function f(integer);
