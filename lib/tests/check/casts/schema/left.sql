create cast (s.e as integer) with function f(s.e);
