create aggregate g(float8, int) (sfunc = h, stype = float8);
