create domain d as t.e;
