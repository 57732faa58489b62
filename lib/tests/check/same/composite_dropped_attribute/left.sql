create type c as (a integer, b text, d integer);
alter type c drop attribute b;
comment on column c.d is 'one';
