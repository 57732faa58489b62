create cast (c as text) with inout;
