create type c as (b integer, a integer);
alter type c drop attribute b;
