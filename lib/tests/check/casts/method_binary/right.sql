create cast (b as text) with inout;
