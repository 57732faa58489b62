create domain d as varchar(5);
