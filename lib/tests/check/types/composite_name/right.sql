create type c as (a integer, c integer);
