create type c as (a s.e);
