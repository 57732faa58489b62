create type r as range (subtype = bigint);
