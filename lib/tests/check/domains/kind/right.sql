create type d as (a integer);
