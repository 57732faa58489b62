create domain d as integer constraint n not null;
