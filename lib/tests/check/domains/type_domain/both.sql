create domain i as integer;
