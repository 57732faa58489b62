create domain d as integer;
alter domain d add constraint c check (value > 0) not valid;
alter domain d validate constraint c;
