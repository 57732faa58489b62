create cast (t.e as integer) with function f(t.e);
