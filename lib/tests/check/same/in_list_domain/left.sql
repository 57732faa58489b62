create domain d as varchar constraint c check (value in ('a', 'b'));
