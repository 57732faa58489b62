create domain d as text default 'a';
