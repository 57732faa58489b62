create domain d as s.e;
