create domain d as varchar(6);
