create domain d as integer;
alter domain d set not null;
