create type c as (a numeric(5, 1));
