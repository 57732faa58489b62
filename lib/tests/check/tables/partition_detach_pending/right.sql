update pg_inherits set inhdetachpending = true;
