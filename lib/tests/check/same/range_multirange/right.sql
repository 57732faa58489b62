create type floatrange as range (subtype = float8, multirange_type_name = floatmultirange);
