create domain d as integer default 1;
alter domain d drop default;
