create domain d as integer constraint c check (t.f(value));
