create type pair as (a int, b int); create type state as enum ('on');
