create type c as (a integer, d integer);
comment on column c.d is 'one';
