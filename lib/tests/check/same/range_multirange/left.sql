create type floatrange as range (subtype = float8);
