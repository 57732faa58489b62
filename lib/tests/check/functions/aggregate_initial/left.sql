create aggregate s(int) (sfunc = int4pl, stype = int);
