create function f(x boolean default 'x'::varchar in ('a', 'b')) returns int language sql as 'select 1';
