lock table s.pipe in row exclusive mode;
