create type t as (a int, b int);
