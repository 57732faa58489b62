create aggregate g(float8 order by int) (sfunc = h2, stype = float8);
