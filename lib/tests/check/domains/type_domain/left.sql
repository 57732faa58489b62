create domain d as i;
