create aggregate s(int) (sfunc = int4mul, stype = int);
