create domain d as text default 'b';
