create table t (g boolean default ('x'::varchar in ('a', 'b')));
