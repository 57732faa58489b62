create type c as (a text);
