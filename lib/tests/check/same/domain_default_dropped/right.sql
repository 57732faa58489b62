create domain d as integer default null;
