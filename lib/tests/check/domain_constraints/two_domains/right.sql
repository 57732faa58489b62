create domain s.d as integer constraint c check (value > 1);
create domain t.d as integer constraint c check (value > 0);
