create aggregate g(int) (sfunc = int4pl, stype = int, finalfunc = int4abs, finalfunc_modify = shareable);
