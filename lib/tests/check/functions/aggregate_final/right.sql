create aggregate s(int) (sfunc = int4pl, stype = int, finalfunc = int4abs);
