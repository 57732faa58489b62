create domain d as integer not null;
