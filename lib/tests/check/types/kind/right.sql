create type t as (a integer);
