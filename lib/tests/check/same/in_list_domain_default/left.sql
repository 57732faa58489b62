create domain d as boolean default ('x'::varchar in ('a', 'b'));
