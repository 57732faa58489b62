create cast (c as integer) with function g(c);
