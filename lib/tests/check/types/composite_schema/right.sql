create type c as (a t.e);
