create domain d as integer constraint c check (s.f(value));
