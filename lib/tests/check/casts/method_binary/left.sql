create cast (s.a as s.b) without function;
