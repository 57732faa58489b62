create cast (s.a as s.b) with inout;
