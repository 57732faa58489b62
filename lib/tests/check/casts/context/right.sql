create cast (c as integer) with function f(c);
