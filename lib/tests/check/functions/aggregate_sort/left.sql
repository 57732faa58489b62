create aggregate g(int) (sfunc = int4larger, stype = int);
