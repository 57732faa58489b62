create domain d as integer default t.f();
