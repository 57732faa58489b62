create domain d as integer constraint c check (value > 0);
