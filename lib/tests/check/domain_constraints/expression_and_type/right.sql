create domain d as text constraint c check (value > '0');
