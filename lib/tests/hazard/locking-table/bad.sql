lock table s.pipe;
lock s.zone in share row exclusive mode;
