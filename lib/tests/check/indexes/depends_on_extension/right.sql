alter index i depends on extension plpgsql;
