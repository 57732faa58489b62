create domain d as integer default s.f();
